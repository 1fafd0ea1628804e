"""The dialogs: what is asked before something is lost, and the help."""
