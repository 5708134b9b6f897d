"""The classifier: a support vector machine with a Gaussian kernel. scikit-learn trains it; using it
takes numpy alone, so that a woken Space need not load scikit-learn.

One in five of the 1,797 digits is held out, chosen by a fixed seed, and never trained on. Each of
the others is joined by slanted, turned and shifted copies, since people draw so.

Of the machine's 45 decisions, one for each pair of classes, each becomes the probability that the
first of the two is right (a logistic of the decision), and a class is as likely as the product over
its pairs says. How steep the two steps are is fitted to copies that were not trained on.
"""
import os
import sys
import tempfile
import zipfile

import numpy as np

GAMMA, C, SEED, HELD_OUT, COPIES = 0.001, 10.0, 20, 360, 4
MAKE = [GAMMA, C, SEED, HELD_OUT, COPIES]  # a kept model of another make is trained anew
FIELDS = ("centers", "weights", "bias", "steepness", "held_out", "held_out_pixels", "held_out_labels")
PAIRS = [(i, j) for i in range(10) for j in range(i + 1, 10)]


def kernel(a, b):
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.exp(-GAMMA * np.maximum(squares, 0))


def couple(decisions, steepness):
    """(n, 45) decisions -> (n, 10) probabilities."""
    scores = np.zeros((len(decisions), 10))
    for column, (i, j) in enumerate(PAIRS):
        scores[:, i] -= np.logaddexp(0, -steepness[0] * decisions[:, column])
        scores[:, j] -= np.logaddexp(0, steepness[0] * decisions[:, column])
    scores = np.exp(steepness[1] * (scores - scores.max(1, keepdims=True)))
    return scores / scores.sum(1, keepdims=True)


class Model:
    def __init__(self, arrays):
        for name in FIELDS:
            setattr(self, name, arrays[name])
        guesses = self.probabilities(self.held_out_pixels).argmax(1)
        self.accuracy = float((guesses == self.held_out_labels).mean())

    def probabilities(self, pixels):
        """(n, 64) numbers from 0 to 16 -> (n, 10) probabilities."""
        decisions = kernel(np.atleast_2d(pixels), self.centers) @ self.weights + self.bias
        return couple(decisions, self.steepness)


def altered(image, random):
    from scipy.ndimage import affine_transform

    angle, slant = np.deg2rad(random.uniform(-10, 10)), random.uniform(-0.25, 0.25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag(random.uniform(0.85, 1.15, 2)) @ np.array([[1, 0], [slant, 1]]) @ turn
    center = np.array([3.5, 3.5])
    offset = center - matrix @ center + [0, random.uniform(-0.3, 0.3)]
    return np.clip(affine_transform(image, matrix, offset=offset, order=1) * random.uniform(0.9, 1.2), 0, 16)


def pair_weights(machine):
    """scikit-learn's coefficients, one column for each pair."""
    ends = np.cumsum(machine.n_support_)
    weights = np.zeros((len(machine.support_vectors_), len(PAIRS)))
    for column, (i, j) in enumerate(PAIRS):
        of_i, of_j = slice(ends[i] - machine.n_support_[i], ends[i]), slice(ends[j] - machine.n_support_[j], ends[j])
        weights[of_i, column] = machine.dual_coef_[j - 1, of_i]
        weights[of_j, column] = machine.dual_coef_[i, of_j]
    return weights


def fit_steepness(decisions, labels):
    def loss(steepness):
        likely = couple(decisions, steepness)[np.arange(len(labels)), labels]
        return -np.log(np.maximum(likely, 1e-12)).mean()

    return np.array(min(((a, t) for a in (1, 2, 4, 6, 8, 12) for t in (0.25, 0.5, 0.75, 1.0, 1.5)), key=loss))


def train():
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    digits, random = load_digits(), np.random.RandomState(SEED)
    order = random.permutation(len(digits.data))
    held, kept = np.sort(order[:HELD_OUT]), np.sort(order[HELD_OUT:])
    copies = np.array([altered(digits.images[i], random).ravel() for _ in range(COPIES) for i in kept])
    fresh, copies = copies[:len(kept)], copies[len(kept):]
    labels = digits.target[kept]
    machine = SVC(gamma=GAMMA, C=C).fit(np.vstack([digits.data[kept], copies]), np.tile(labels, COPIES))
    centers, weights, bias = machine.support_vectors_, pair_weights(machine), machine.intercept_
    steepness = fit_steepness(kernel(fresh, centers) @ weights + bias, labels)
    return dict(zip(FIELDS, (centers, weights, bias, steepness, held, digits.data[held], digits.target[held])))


def load(path):
    """None where there is no model, or one of another make."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in FIELDS}
            return arrays if file["make"].tolist() == MAKE else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def save(path, arrays):
    """Whole or not at all; a model that cannot be kept is trained again at the next start."""
    try:
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), suffix=".new", delete=False) as file:
            np.savez(file, make=np.array(MAKE), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except OSError as error:
        print(f"digits: the model is not kept: {error.strerror}", file=sys.stderr)


def obtain(path):
    arrays = load(path)
    if arrays is None:
        arrays = train()
        save(path, arrays)
    return Model(arrays)
