"""From a `.tflite` file back to a Keras network."""
