"""The curve, event by event: one unit after the other switches.

Between two events every number of a network is a line. At an event one unit's function changes its slope, and
that change goes through the network as the few products that it takes: a batch of points would go through all
of them. The events are found in order, so there is nothing to refine.
"""
