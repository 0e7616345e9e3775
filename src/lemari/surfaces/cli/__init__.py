"""The `lemari` command, one file a group of verbs."""
