"""The experiment: a plan becomes runs, runs become Parquet, Parquet becomes a report."""
