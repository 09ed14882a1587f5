"""How good models are, and how their trainings went.

scores           Score: nats, bits per character, perplexity; log-probabilities by the engine
gradient_flow    how far back gradients reach in a network (torch)
learning_curves  a run's log -> curves of loss, learning rate, gradient norm, speed
comparison       several runs: outcomes and differing settings
"""
