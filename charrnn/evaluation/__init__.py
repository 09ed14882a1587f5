"""How good models are, and how their trainings went.

scores           Score: nats, bits per character, perplexity; log-probabilities by the engine
gradient_flow    how far back gradients reach in a network (torch)
activations      a text as a network reads it: what each unit does after each token
text_features    what can be named in a text: inside quotes, place in a line, in a word ...
neurons          which unit follows which of these, in bits
learning_curves  a run's log -> curves of loss, learning rate, gradient norm, speed
comparison       several runs: outcomes and differing settings
"""
