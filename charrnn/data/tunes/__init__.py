"""Tunes in ABC and MIDI -> one strict form of ABC, which models read and write.

score          a tune as numbers: notes with pitches and lengths, bars, meters, keys
fields         the values of ABC's header fields: key, meter, unit; and lengths
abc            ABC notation as it is found -> tunes, and what was left out of them
midi           a MIDI file -> a tune of one voice
strict         a tune -> strict ABC
transposition  a tune -> the same in other keys
reader         files -> tunes, and how a file of tunes is recognized
tally          what was taken of each file, and why the rest was not
bars           whether the bars of a tune add up
playing        a tune -> as it sounds: repeats played out, ties joined, chords under it
midi_writer    a tune -> a MIDI file
synthesizer    a tune -> sound, by sine waves
rendering      the text of a tune -> a file of ABC, MIDI or sound
"""
