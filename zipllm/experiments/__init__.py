"""Named, seeded, resumable studies that show prediction at work as compression.

study         what a study is; tables; the published numbers it quotes
studies       the names of all studies
lab           what a study works with: text, training, scores, and the rows it has measured
ledger        rows as JSON lines, each kept as soon as it is measured, so that a run can go on
material      text by domain: files of a data folder, or what lies on any machine with Python
machine_text  the second of these: sources, documentation, headers, character names
media         pictures, sound and genomes of a data folder, and PNG and FLAC to compare with
training      text -> trained float model -> model file
scoring       bits that data costs under a model, in the context that an archive gives it
course        runs a study and writes its page
page          rows -> a page in Markdown and HTML, and figures with their data

The others are one study each: question, method, ``run``, tables, figures, and a conclusion written from the numbers.
"""
