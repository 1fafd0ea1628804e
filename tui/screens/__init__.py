"""The screens: opening, dashboard, and the dialogs that ask before something is lost."""
