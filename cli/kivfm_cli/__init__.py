"""The command line of kivfm: a file a command, loaded when it is called."""
