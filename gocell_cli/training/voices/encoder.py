"""DCell as encoder: the wide part once more, of gene vectors that the trained network's terms give.

    v_g = own vector + F Z,     f_gt = |y_t(g deleted alone) - y_t(wild type)|^(1/2),  columns, then rows, of length 1

y_t is the head of term t in the best epoch (`inference/encoding.py`). F stands in place of membership, to which it is
equal, once scaled, where a term takes all its genes for alike: a gene is in a term as far as the network hears it
there. It was trained on the training part alone, as what is fitted here first. All else, and what is chosen on the
validation samples, is as in `wide.py`, single effects too.

The root of the size was chosen on validation parts (Collins 2007, genes unseen, two seeds; Kuzmin 2018, queries unseen;
r of one machine): 0.424, 0.337, 0.772; the size itself 0.420, 0.336, 0.770; with its sign 0.404, 0.332, 0.763, for
a term's head has one sign for a gene that it has seen and often another for the next; membership 0.420, 0.336, 0.776.
"""

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.samples import Fitted, Known, NotApplicable, Others
from gocell_cli.training.extra import train_extra
from gocell_cli.training.voices.wide import fitted_over, refitted_over

with train_extra():
    from scipy.sparse import csr_matrix, diags


def encoder(known: Known, others: Others) -> Fitted:
    """Fit `encoder`; raises NotApplicable where no vectors are wanted, or the network has none to give."""
    del others
    if not len(known.train.genotypes.pairs[0]):
        raise NotApplicable("no training sample deletes two genes: there is nothing to have vectors for")
    fit = fitted_over(known, encoded_terms(known))
    if fit.machine is None:
        raise NotApplicable("by the validation samples pairs say no more than single effects, which the wide part has")
    return fit


def refitted(fit: Fitted, known: Known) -> Fitted:
    """Fit again, to what is known now, with the settings of `fit`; raises TypeError for another voice's."""
    return refitted_over(fit, known, encoded_terms(known))


def encoded_terms(known: Known) -> csr_matrix:
    """Return what each gene is in each term by the network; raises NotApplicable where it says nothing."""
    if known.encoded is None:
        raise NotApplicable("there is no trained network to encode genes")
    if not np.isfinite(known.encoded.data).all():
        raise NotApplicable("the network's heads are not finite")
    if not np.any(known.encoded.data):
        raise NotApplicable("the network's terms say the same whichever gene is deleted")
    return scaled_terms(known.encoded)


def scaled_terms(encoded: csr_matrix) -> csr_matrix:
    """Return the roots of |encoded| [genes, terms], columns of length 1 or 0, and then rows of length 1 or 0."""
    size = abs(encoded).sqrt()
    found = size @ diags(1 / _lengths(size, axis=0))
    return (diags(1 / _lengths(found, axis=1)) @ found).tocsr()


def _lengths(matrix: csr_matrix, axis: int) -> Float64[np.ndarray, " n"]:
    """Lengths of columns (axis 0) or rows, 1 of those that are 0 all along."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=axis)).ravel())
    found: np.ndarray = np.where(length > 0, length, 1.0)
    return found
