"""Data, machine and budget -> what to train and how.

budget       minutes, epochs, steps, and how large a model may be
plan         Budget -> Plan: sizes, hyperparameters, steps, and what they cost
problem      what a plan is made from, and the optimizer and the step that suit a speed
heuristics   the rules, as pure functions of numbers
finetuning   the rules of a run that begins with another model
batch_shape  batch size and window that fit the data
presets      hyperparameters from the literature
calibration  how fast this machine trains a model
restart      a new plan for a run that is given more steps
threads      the number of threads, chosen by measurement and looked at again
time_budget  how many steps fit into the time, at the speed seen so far
"""
