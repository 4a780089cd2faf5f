"""What a training asks of its process: memory kept, memory measured."""
