"""How people reach Lemari: estimators and commands. They parse, call and show; no logic."""
