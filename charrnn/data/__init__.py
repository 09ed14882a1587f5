"""Files -> arrays on disk -> batches.

    config        DataConfig: which files, how to read and split them
    sources       files, folders, globs and pipes -> blocks of text
    folders       a folder -> its text files in natural order
    conditions    documents with a label: label<TAB>text, or the folder of a file
    formats       the first bytes of a file -> what it is, if it is no text
    decoding      bytes -> text in blocks; errors that name the byte, its offset and its line
    reading       encoding, line ends, documents: one reader for training and for measuring
    chats         chat logs -> conversations in one strict form
    tunes         tunes in ABC and MIDI -> one strict form of ABC
    token_arrays  ids -> memory-mapped arrays on disk
    batches       a token array -> inputs and targets of step k
    examples      short texts, each an example: their parts by a hash, ragged rows of ids
    example_files    the files of examples: found, read, noted, hashed
    example_arrays   examples as arrays on disk, split into parts
    tables        CSV and JSON of many forms -> rows of cells, and columns by name
    suffix_array  a text -> an index that finds copies of its parts

What a task makes of its files is in `tasks`; here is what several tasks share.
"""
