"""Diagnostic specialist of MedCoT: a sparse mixture of experts over the words and the image of a closed
question.
"""
