"""Trained models for other programs: the `llm` command, and a server of OpenAI's interface.

messages     messages with roles -> what a model of texts or of chats continues
llm_plugin   each run as a model of the `llm` command; needs the extra `charrnn[llm]`
"""
