"""From Keras to `.tflite`: recipes, the converter, calibration ranges, tuning."""
