"""The names of the engine under their first home; everything here is handed on from `engine`."""
