"""usage: check_npy.py LAST ALL ROWS COLUMNS: shapes, finite values, and LAST is ALL's last row."""
import sys

import numpy

last, every = numpy.load(sys.argv[1]), numpy.load(sys.argv[2])
rows, columns = int(sys.argv[3]), int(sys.argv[4])
assert last.dtype == every.dtype == numpy.float32, (last.dtype, every.dtype)
assert last.shape == (1, columns) and every.shape == (rows, columns), (last.shape, every.shape)
assert numpy.isfinite(every).all()
assert (every[-1] == last[0]).all()
