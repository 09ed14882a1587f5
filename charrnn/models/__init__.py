"""Networks in torch.

device      device, memory settings, out-of-memory errors
functional  dropout and a softmax loss, faster on a CPU than torch's own
sampled_softmax  the loss of a large vocabulary from a part of it
resets      where the state starts anew inside a window, at the beginning of a document
cells       the recurrent layers: LSTM, GRU, RNN
recurrent   RecurrentNetwork: input -> recurrent layers -> output, the base of a task's network
bidirectional  layers that read texts both ways
"""
