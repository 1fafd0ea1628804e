"""A bridge without threads and an engine: it shows a fixed view and records the jobs that are requested."""

from tui.backend.bridge import Bridge


class FakeBridge(Bridge):
    """Shows `view` and `runs`. A test sets `working` and `error`; `asked` are the requested jobs, in order."""

    def __init__(self, view, runs=(), *, working=None, error=None, loaded=True):
        super().__init__()
        self.shown = view
        self.runs = tuple(runs)
        self.working = working
        self.error = error
        self.asked = []
        self._loaded = loaded

    @property
    def loaded(self):
        return self._loaded

    def view(self):
        return self.shown

    def stop(self, *, now=False):
        self.asked.append(("stop", now))

    def close(self, seconds):
        return True

    def end_job(self, result):
        """End a job as the real bridge would."""
        self.working = None
        self.error = result.error
        if self.deliver is not None:
            self.deliver(result)

    def _read(self, job, work, asked, *, opens_catalog=False):
        self.asked.append((job, asked))

    def _begin(self, job, work, asked=None):
        self.asked.append((job, asked))
        return True
