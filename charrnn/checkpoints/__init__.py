"""Models and runs on disk, safe against crashes and untrusted files.

    atomic      write a file so that it is either complete or absent, whatever happens
    container   a safetensors file with a checksum and strict JSON metadata
    header      what a checkpoint's metadata must say before anything of it is used
    mixture     the n-gram models that a network is mixed with
    checkpoint  Checkpoint: configuration, encoder, weights, training state; save and load
    best        which checkpoint is the best, by scores of the whole validation part or of pieces
    origin      the model that a run begins with, and what is recorded of it
    listing     runs, steps and labels by the names of files and unverified headers, at once
    run         a run's folder: lock, best and latest checkpoint, retention, log; finding runs

Nothing in a file is ever executed, imported or followed. What the tensors of a task are called and
how large they are is the task's own business: it adds a `header.Schema` to `header.SCHEMAS`.
"""
