"""What the stage train.motor is made of: pairs, tags and their graph, triplets, losses, the loop, figures."""
