"""The command line: it parses options, calls the library, and prints.

entry           where the program begins; answers shells before the program is loaded
completion      what a shell offers at the end of a line, from completion.json
main            the program; the one place that turns errors into exit codes
grouped         the commands in the help, grouped by what one wants to do
manual          all of the help as one page for man(1)
options         options that several commands share, and options made from config fields
chosen          the options of train and plan that choose data, model and training
effects         which options were given, and an error for one without effect
terminal        the terminal: consoles, progress bars, the error line
tables          tables on stdout, fitted to the terminal
output          stdout as a pipe needs it
signals         Ctrl-C and the other signals that stop a training
work            long work of the library, shown on stderr
progress        the events of a training as lines on stderr
lines           the arguments RUN and TEXT, and the lines of stdin as they arrive
models          the options of the model that writes: RUN, --blend, --label
prompts         prompts from options, files and pipes
chain           options of filters and constraints that sample, write and chat share
sample_output   samples as text or JSON
tune_output     whole tunes in files
draft           the text of `charrnn write`: its revisions, undo and redo
line_editor     lines with editing keys and history in a terminal; plain lines from a pipe
plotting        charts in the terminal and as pictures
pages           self-contained web pages
train plan sample forecast translate classify evaluate write chat serve score originality runs
compare plot gradients neurons report checkpoints
                one module per command
"""
