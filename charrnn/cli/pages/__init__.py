"""Self-contained web pages: one file with its styles and scripts, which loads nothing.

page           sections -> an HTML file that runs no script but its own
svg            a chart as SVG inside a page, in light and dark
neurons_page   the text, coloured by a unit or by surprise
"""
