"""Results -> pages, tables and pictures.

bench_page    rows of a benchmark -> one self-contained HTML page
surprise      the cost of every token -> one self-contained HTML page
  units         bytes and tokens -> whole characters, and signs for what cannot be seen
  words         sentences about an explanation, for the page and the terminal
figures       rows -> the numbers behind each figure
  labels        places for the names of points
  svg           figures as SVG for a page, drawn without a library
  plots         figures through matplotlib, as SVG and PNG with their data beside them
palette       one palette for pages, figures and the terminal
html_page     templates -> HTML in which no text can become markup
templates/    the pages' HTML, styles and script
"""
