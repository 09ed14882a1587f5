"""Trained models for other programs: the `llm` command, and a server of OpenAI's interface.

messages     messages with roles -> what a model of texts or of chats continues
llm_plugin   each run as a model of the `llm` command; needs the extra `charrnn[llm]`

The server, which needs the extra `charrnn[serve]`:

limits       what it takes at most
problems     errors in the form of OpenAI's interface
requests     bodies of requests -> what is asked for
models       the models that are served, each with a scheduler
jobs         what is asked for -> the jobs of a scheduler
feed         reports of a scheduler's thread -> an event loop
answers      chunks of text -> the JSON of answers
completions  a request for texts, from its body to its answer
metrics      what was done, as Prometheus reads it
guard        who may ask: Host, Origin, token
page         the page to play with
app          the application: paths, bodies, clients that leave
server       the application on a socket, and signals
"""
