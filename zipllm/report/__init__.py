"""Results -> pages and pictures.

escape      text -> HTML that cannot become markup
scatter     points -> an SVG scatter or line plot, without any library
surprise    what every token cost -> one self-contained HTML page (with surprise.css and surprise.js)
strip       bits along a file -> an SVG strip chart
units       bytes and tokens -> whole characters, and signs for what cannot be seen
words       what is said about an explanation, on the page and in the terminal
html_page   the frame of every page of tables and figures
bench_page  rows of a benchmark -> one self-contained HTML page
plots       the same figures through matplotlib, as SVG and PNG with their data beside them
figures     rows -> the numbers behind each figure
"""
