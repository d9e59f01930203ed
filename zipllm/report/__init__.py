"""Results -> pages, tables and pictures.

bench_page    rows of a benchmark -> one self-contained HTML page
surprise      the cost of every token -> one self-contained HTML page
  strip         bits along a file -> the bars of a strip chart
  units         bytes and tokens -> whole characters, and signs for what cannot be seen
  words         sentences about an explanation, for the page and the terminal
figures       rows -> the numbers behind each figure
  svg           figures as SVG for a page, drawn without a library
  plots         figures through matplotlib, as SVG and PNG with their data beside them
html_page     templates -> HTML in which no text can become markup
templates/    the pages' HTML, styles and script
"""
