"""Models as ONNX folders, held against torch's answers in every language before anybody gets them."""
