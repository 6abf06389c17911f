"""The commands: `kivfm NAME` is `app` in `commands/NAME`, imported when it is called."""
