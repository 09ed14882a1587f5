"""Self-contained web pages: one file with its styles and scripts, which loads nothing.

page           sections -> an HTML file that runs no script but its own
svg            a chart as SVG inside a page, in light and dark
run_page       a run: result, learning curves, plan, samples by step
neurons_page   the text, coloured by a unit or by surprise
"""
