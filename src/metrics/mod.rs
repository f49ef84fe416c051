//! The metric families, built from the view at scrape time.
