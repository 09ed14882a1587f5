"""Charts.

chart    curves, axes and ticks
braille  a chart as text for a terminal
picture  a chart as PNG or SVG, by matplotlib (the extra charrnn[plot])
show     the options of a chart, and where it goes
"""
