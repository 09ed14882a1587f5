"""Labels of texts: sentiment, topics, languages, what a question asks for.

config       what is asked of the data, and the configuration of the network
columns      which columns of a table are text and label
reading      files -> texts with labels, split into train, valid and test by a hash of the text
naive_bayes  counts of n-grams: a baseline, and an input of the network
linear       logistic regression over the same n-grams: a baseline, and a part of the result
encoder      texts <-> arrays: a tokenizer, parts of words, naive Bayes, names of labels
batches      step k -> its texts, of about equal length
dataset      the arrays on disk
network      members: layers both ways, pooling, naive Bayes scores (torch)
stepper      a torch network as a model of `evaluate`, in training
graph        the same network as an ONNX graph
engine       the graph, run by ONNX Runtime
metrics      accuracy, precision, recall, F1, confusion, calibration
evaluate     outputs over a split -> a score; the weights of the three parts; baselines
tables       a score as lines of text
exporting    a model as an ONNX file that says how to use it
rules        the planner's rules
classifier   Classifier: a trained model, ready to classify
task         LabelsTask, which joins them
"""
