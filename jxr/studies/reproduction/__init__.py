"""The report, stage by stage: restorers, heads, scores over sigma."""
