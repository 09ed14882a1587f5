"""Training: from a plan to checkpoints.

    planner      data, machine and budget -> a plan: sizes, hyperparameters, steps
    optimizer    AdamW, SOAP and SGD, gradient clipping, the learning rate of a step
    rotation     the rotated space of one matrix in which SOAP is AdamW
    averaging    the average of the weights of many steps
    distributed  the processes that share a training
    learner      one optimizer step after another; the state that a checkpoint holds
    diagnostics  exploding or vanishing gradients, saturated or dead units
    events       what happens in a training, as values
    validation   the evaluations of a training: what each reads, and which checkpoint is the best
    pacing       a session's clock: the steps that fit into the time, and when to plan again
    rollback     back to the last checkpoint, with a lower learning rate
    versions     what bit-exact resuming depends on besides the plan
    trainer      train(): the loop that logs, evaluates and saves; a generator of events
    effects      options that act only under a condition
    request      what is asked of a new run, from options by name
    recognition  data that plainly is another task's
    changes      options given to a run that is resumed
    beginning    a run that begins with another model: its checkpoint of step 0
    recorded     run.json: how a run was started, and what resuming needs of it
    session      start_run, resume_run: from options to a finished run

Everything is a function of the step: batch k is `batches[k]`, the rate `learning_rate(k)`, the
randomness of step k a reseed with (seed, k, rank). The whole state of a training is weights,
optimizer state, hidden state and k, so exact resuming needs nothing else.
"""
