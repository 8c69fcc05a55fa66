"""The networks and the body model as ONNX graphs: written for other programs, and run by onnxruntime for ours."""
