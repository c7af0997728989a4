"""Immutable artefacts at any fsspec path; the commit always comes last."""
