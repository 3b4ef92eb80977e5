"""What calibration writes of a class, for models that were never calibrated."""

CLASS_CALIBRATION = {
    **{"slope": 1.1, "intercept": -2.0, "floor_code": 30000, "sites": 50, "prevalence": 0.001},
    **{"min_distance": 1, "match_distance": 0, "operating": 0},
    **{"fdr_codes": [30000, 40000], "fdr": [0.5, 0.1]},
    "thresholds": [
        {
            **{"precision_target": 0.5, "code": 35000, "score": 1.5, "reached": True},
            **{"precision": 0.6, "lower_bound": 0.5, "recall": 0.4, "calls": 40},
            **{"design_effect": 1.2, "bootstrap_quantiles": [0.4, 0.5, 0.6]},
        }
    ],
}
