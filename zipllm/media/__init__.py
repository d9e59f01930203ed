"""Sound and pictures, predicted by least squares and filters, and DNA, by what followed the same bases.

Where the samples are:

    headers         layouts (``container/samples.py``) from the headers of WAV, AIFF, PGM, PPM, BMP
    tiff            and of TIFF files
    trial           sound without a header, found by trying

How they are coded, read top down:

    coding          blocks to words of the range coder, and back
    sound           experts on the next sample of sound
    picture         experts on the next byte of a pixel
    least_squares   which sum of samples would have predicted the last ones best
    cascade         adaptive filters, each on what the one before left over
    experts         from expected values and errors to inputs of the mixer
    contexts        bit histories by hashed contexts
    mixer           all inputs become one probability
    memory          all arrays that learn
    beginning       what they hold at the beginning of a block
    curves          the logistic distribution and the logarithm, as tables of integers
    bits            the length of an integer
    dna             bases, of this strand and the other
    dna_memory      what is DNA, and its arrays
"""
