"""Series: numbers in time -> a model that forecasts them, with quantiles.

numbers        a cell -> its number: decimal signs, thousands, units
tables         a file -> columns of cells: delimiter, header, footers, decimal signs
date_words     words in dates -> English names of months
dates          cells -> dates: day or month first, names, quarters, weeks
frequency      dates -> the step between them; steps -> dates and calendar inputs
date_columns   which columns of a table have its dates
columns        which column of a table is what
reading        a table -> series on a regular step: layouts, gaps, duplicates
config         SeriesDataConfig, SeriesConfig, the shapes of the parameters
encoder        SeriesEncoder: step, season, lags, horizon, calibration
windows        places in series -> scaled inputs; a tape of all series
dataset        files -> arrays, split in time; the windows that training draws
distributions  constants of the head; drawing from Student's t and the negative binomial
network        SeriesNetwork, by torch
steppers       the torch network, step by step
graph          the network as an ONNX graph
engine         the network, step by step, by ONNX Runtime
forecasting    contexts -> sampled paths -> Forecast
scores         MASE, weighted quantile loss, sMAPE, coverage; calibration
evaluate       the score over a part, and the baselines
ets            exponential smoothing as a baseline, where statsforecast is installed
rules          the planner's rules
forecaster     Forecaster, what `charrnn.load` returns
task           SeriesTask, which makes these a task of `tasks.base`
"""
