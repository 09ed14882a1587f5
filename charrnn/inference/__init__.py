"""A checkpoint -> text, without torch.

nodes        parts of ONNX graphs: products in float32 or int8, one step of each cell
saturation   whether products of bytes are right on this processor
graphs       a checkpoint -> ONNX models that read a token or a sequence
onnx_document what an exported ONNX file says of its use to other programs
bidirectional a recurrent layer that reads texts both ways, as ONNX nodes
steering     units that are held or pushed while a model writes, as nodes of a graph
sessions     a graph run on the number of threads that is faster now
engine       Engine: ids and state -> logits and state, by ONNX Runtime
ngram_model  the n-grams of a text in one array, read token by token
mixed_engine an engine and n-gram models as one
labelled_engine an engine that begins every document with a label
blended_engine several engines as one, by the weighted mean of their log-probabilities
sampling     logits -> logits: the filters, and the random draw
text_tracker the characters behind the ids that filters see, whatever tokens spell them
generation   prompts -> text, for many samples side by side
running_batch texts that begin and end at any time, stepped as one batch
scheduler    a thread that writes what is asked of one model, from a queue
beam_search  the most likely continuation
patterns     text that matches a regular expression
masks        constraints that follow each row by an automaton
word_automaton where words begin and end, character by character
known_words  only words of a list, whatever tokens spell them
word_pattern known words as a regular expression, for a pattern to agree with
bar_lengths  lengths, meters and keys as tunes have them, and what fills a bar
bar_states   where a tune is, as far as its bars have to know
bar_automaton whether the bars of a tune add up, character by character
bars         only tunes whose bars add up
constraints  banned texts, an alphabet, a pattern, no copies and no lines of the corpus
state_file   the end of a sample in a file
"""
