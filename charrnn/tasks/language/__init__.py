"""Language models: text -> a model that continues, scores and generates text.

files           the files of each part, and what they plainly are: chats, or tunes
tune_shelf      the tunes of a corpus, those of the training part in all keys
splits          which part of the corpus a text belongs to
leaks           held-out lines that the training part has too
conditions      a model of labelled documents, made to write in a label or between several
label_scores    how well each label's texts are predicted, and how often that label is likeliest
texts           how a trained model reads a text: as its training text was read
corpus          files -> token arrays, split into train, valid and test
transfer        another model's tokenizer and weights, with rows for the tokens it lacks
unknown         what the characters of words without an id cost, and the original text
network         CharRNN: embedding -> recurrent layers -> logits
evaluate        a torch network over a split -> nats, bits per character, perplexity
adapting        a network that learns from a text as it reads it, and how well it does so
following       a model that learns from a text while it is written
baselines       uniform guess, n-gram model, gzip, xz
mixing          how much the network and n-gram models count, fitted on text that none has read
originality     how much of a text is copied from the training data
words           the words of a training text or a file
copies          which part of the corpus, and which line of its files, a text is copied from
turns           a reply is one turn and nobody else's; replies that answer
chat            Chat: a conversation with a model of a chat
keywords        the keywords of the API -> sampling parameters and constraints
tunes           bars that add up, and whole tunes, of a model of tunes
language_model  LanguageModel, what `charrnn.load` returns: sample, stream, score, evaluate
steered         a model with units held or pushed, and the effect on its texts
looking_inside  what the units of a language model follow in a text
blend           Blend: several models that write and score together
task            LanguageTask, which makes these a task of `tasks.base`
"""
