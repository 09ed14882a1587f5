"""Language models: text -> a model that continues, scores and generates text.

corpus          files -> token arrays, split into train, valid and test
network         CharRNN: embedding -> recurrent layers -> logits
evaluate        a torch network over a split -> nats, bits per character, perplexity
baselines       uniform guess, n-gram model, gzip, xz
originality     how much of a text is copied from the training data
language_model  LanguageModel, what `charrnn.load` returns: sample, stream, score, evaluate
task            LanguageTask, which makes these a task of `tasks.base`
"""
