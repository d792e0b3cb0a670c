//! Findings in, text out: one file per format. Knows nothing of the analysis.
