"""What is where in the arrays that describe a network and where it stands on a path.

``Plan`` is the network: a row for each layer, a row for each edge, the numbers of all edges one after the
other, positions of sparse edges, and the slope of each layer's function below zero. Units of all layers lie
one after the other; every layer begins with a new block of ``BLOCK`` units. Layers are images (height, width,
channels) with the channels last; a vector has one pixel.

``State`` has a row of float64 numbers for each of the names below, and a column for each unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Plan = tuple[Int64, Int64, Float64, Int64, Float64]
"""layers, edges, weights, positions, slopes below zero"""
Box = tuple[int, int, int, int]
"""first row, row after the last, first column, column after the last, of pixels"""

Place = tuple[Float64, Float64, Int64, Int64, Int64]
"""where a network stands: its state; the earliest event of each block of units; a box of pixels for each
layer, to be overwritten; the layer of each block; and room for the positions of all units"""

PLACE = "Tuple((float64[:, ::1], float64[::1], int64[:, ::1], int64[::1], int64[::1]))"
"""the numba type of a place"""

PLAN = "Tuple((int64[:, ::1], int64[:, ::1], F[::1], int64[::1], float64[::1]))"
"""the numba type of a plan"""

BLOCK = 32
"""units whose next events have one minimum"""

# Columns of a layer: where its units begin, its shape, its kind, its first edge and the one after its last.
OFFSET, HEIGHT, WIDTH, CHANNELS, KIND, FIRST, LAST = range(7)

# Kinds of layers: a sum of edges; such a sum rectified, with a state; the scores, with a state.
LINEAR, BENT, SCORES = range(3)

# Columns of every edge: the layer that it comes from, what it is, where its numbers begin.
SOURCE, HOW, WEIGHTS = range(3)

# What an edge is: a convolution, a matrix, a factor for each unit, or a list of numbers for each unit.
CONVOLUTION, MATRIX, FACTORS, SPARSE = range(4)

# More columns of a convolution: kernel, strides, paddings in front, distance of the kernel's rows.
KERNEL_Y, KERNEL_X, STRIDE_Y, STRIDE_X, PAD_Y, PAD_X, STEP_Y = range(3, 10)

# More columns of a sparse edge: in the positions, where each unit's list begins, the units listed, and the
# rows and the columns of pixels (first, after the last) that a row and a column of pixels reach.
STARTS, TARGETS, ROWS, COLUMNS = range(3, 7)
EDGE = 10

# Rows of a state: the change of slope that is on its way; value at ``SINCE``; slope; the t of the value; 1
# where the unit is above zero, else -1; when it switches next; errors so far, in units of 2**-53; the sum of
# all that it has sent on; its largest value so far.
DELTA, VALUE, SLOPE, SINCE, SIDE, DUE, ERROR, SENT, HIGHEST = range(9)
STATE = 9
