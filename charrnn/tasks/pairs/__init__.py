"""Pairs of texts: source -> target, as in translation, spelling, and the forms of words.

config      what is asked of the data, and the configuration of the network
tables      which columns of a table are source and target
reading     files -> pairs, split into train, valid and test by a hash of the source
encoder     a pair <-> ids: one tokenizer for both sides or two, and characters to copy
dataset     the arrays on disk
batches     step k -> its pairs, of about equal length
network     encoder, attention, decoder (torch)
graphs      the same network as two ONNX graphs: the encoder, one step of the decoder
engine      the two graphs, run by ONNX Runtime
search      beam search over a batch of sources
metrics     error rates, exact matches, BLEU and chrF
stepper     a torch network as a decoder of the search, in training
evaluate    translations of a split -> its score; baselines; the usual failures
exporting   a model as ONNX files that say how to use them
rules       the planner's rules
translator  Translator: a trained model, ready to translate
task        PairsTask, which joins them
"""
