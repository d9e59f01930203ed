"""Named, seeded, resumable studies that show prediction at work as compression.

studies       one file a study, and their names
study         what a study is: question, method, sizes, and how its rows become tables, figures and sentences
lab           what a study works with: text, training, scores, and its ledger
show          rows -> numbers, words and tables
ledger        rows as JSON lines, each kept as soon as it is measured, so that a run can resume
material      text by domain: files of a data folder, or text that lies on any machine with Python
machine_text  sources, documentation, headers and character names of this machine
media         pictures, sound and genomes of a data folder, and PNG and FLAC to compare with
training      text -> trained float model -> model file
tasks         cloze questions and labeled texts for a byte model
contenders    models of the store that a study compares
scoring       bits that data costs under a model, in the context that an archive gives it
published     published figures that more than one study quotes
course        runs a study and writes its page
page          rows -> a page in Markdown and HTML, and figures with their data
"""
