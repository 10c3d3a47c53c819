"""Reading .tflite files without TensorFlow: the graph, what maps where, and why not."""
