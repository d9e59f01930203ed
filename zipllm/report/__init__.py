"""Results -> pages and pictures.

escape      text -> HTML that cannot become markup
scatter     points -> an SVG scatter or line plot, without any library
bench_page  rows of a benchmark -> one self-contained HTML page
plots       the same figures through matplotlib, as SVG and PNG with their data beside them
figures     rows -> the numbers behind each figure
"""
